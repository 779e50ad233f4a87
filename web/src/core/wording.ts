/** Values in messages, spelled as the server spells them, so that both sides say the same of one mistake. */

/** A number with six significant digits at most: "1e+06", "0.5", "100000". */
export function short(value: number): string {
  if (!Number.isFinite(value)) return plainNumber(value);
  if (value === 0) return "0";
  const [digits, exponent] = split(value.toExponential(5));
  if (exponent < -4 || exponent >= 6) return `${trimmed(digits)}e${signed(exponent)}`;
  return trimmed(value.toFixed(Math.max(0, 5 - exponent)));
}

/** Any JSON value, as Python's `repr` writes it. */
export function spelled(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return plainNumber(value);
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value)) return `[${value.map(spelled).join(", ")}]`;
  return `{${Object.entries(value as object)
    .map(([name, one]) => `${quoted(name)}: ${spelled(one)}`)
    .join(", ")}}`;
}

export function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  let made = "";
  for (const char of text) {
    if (char === "\\" || char === mark) made += `\\${char}`;
    else if (char === "\n") made += "\\n";
    else if (char === "\r") made += "\\r";
    else if (char === "\t") made += "\\t";
    else if (char !== " " && /[\p{C}\p{Z}]/u.test(char)) made += escaped(char.codePointAt(0)!);
    else made += char;
  }
  return mark + made + mark;
}

function escaped(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

function plainNumber(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString();
  const [digits, exponent] = split(value.toExponential());
  if (exponent < -4 || exponent >= 16) return `${digits}e${signed(exponent)}`;
  const text = String(value);
  return text.includes("e") ? value.toFixed(Math.max(0, digits.replace(/[-.]/g, "").length - 1 - exponent)) : text;
}

function split(text: string): [digits: string, exponent: number] {
  const [digits, exponent] = text.split("e");
  return [digits!, Number(exponent)];
}

const signed = (exponent: number): string =>
  `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;

const trimmed = (digits: string): string => (digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits);

/** At most so many characters (code points), the last being "…" where something was left out. */
export function shortened(text: string, most = 300): string {
  if (text.length <= most) return text;
  const chars = Array.from(text);
  return chars.length <= most ? text : `${chars.slice(0, most - 1).join("")}…`;
}

/** 12345 as "12,345". */
export const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
