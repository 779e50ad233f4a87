// A pack's widget that fails.
export default {
  api: 1,
  render() {
    throw new Error("no stars tonight");
  },
};
