declare module "virtual:licences" {
  /** Every package that is in the bundle, by name. */
  const licences: readonly { name: string; version: string; licence: string; text: string }[];
  export default licences;
}
