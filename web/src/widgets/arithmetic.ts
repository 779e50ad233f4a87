/** Arithmetic typed into a number field: "512*2+64". No names but pi; nothing is ever evaluated as code. */

const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|(pi|π)|(\*\*|[-+*/%^()]))/iy;

type Token = number | string;

/** The value of `text`, or null if it is not arithmetic or its value is not finite. A comma is a decimal point. */
export function evaluate(text: string): number | null {
  const tokens = tokenise(text.replace(/(\d),(\d)/g, "$1.$2"));
  if (!tokens || tokens.length === 0) return null;
  const parser = new Parser(tokens);
  const value = parser.sum();
  return parser.done && Number.isFinite(value) ? value : null;
}

function tokenise(text: string): Token[] | null {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text);
    if (!match) return null;
    const [, number, pi, operator] = match;
    tokens.push(
      number !== undefined ? Number(number) : pi !== undefined ? Math.PI : operator === "**" ? "^" : operator!,
    );
  }
  return tokens;
}

/** Recursive descent: sum → product → sign → power → atom. A missing part is NaN, which makes the whole not finite. */
class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly tokens: Token[]) {}

  get done(): boolean {
    return this.at === this.tokens.length;
  }

  sum(): number {
    let value = this.product();
    for (let sign = this.take("+", "-"); sign; sign = this.take("+", "-")) {
      const next = this.product();
      value = sign === "+" ? value + next : value - next;
    }
    return value;
  }

  private product(): number {
    let value = this.signed();
    for (let sign = this.take("*", "/", "%"); sign; sign = this.take("*", "/", "%")) {
      const next = this.signed();
      value = sign === "*" ? value * next : sign === "/" ? value / next : value % next;
    }
    return value;
  }

  private signed(): number {
    const sign = this.take("+", "-");
    if (!sign) return this.power();
    if (++this.depth > 64) return Number.NaN;
    const value = this.signed();
    return sign === "-" ? -value : value;
  }

  private power(): number {
    const base = this.atom();
    return this.take("^") ? base ** this.signed() : base;
  }

  private atom(): number {
    const token = this.tokens[this.at];
    if (typeof token === "number") {
      this.at++;
      return token;
    }
    if (++this.depth > 64 || !this.take("(")) return Number.NaN;
    const value = this.sum();
    return this.take(")") ? value : Number.NaN;
  }

  private take(...signs: string[]): string | null {
    const token = this.tokens[this.at];
    if (typeof token !== "string" || !signs.includes(token)) return null;
    this.at++;
    return token;
  }
}
