import { isId } from '../shared/ids.js';
import { BrowserError, type Beginning } from './browser-error.js';

export type QueryValues = Readonly<Record<string, unknown>>;

/** The parameters that a browser came with; what is not known is ignored, what is malformed is a page. */
export class BrowserQuery {
  constructor(
    private readonly values: QueryValues,
    private readonly beginning: Beginning,
  ) {}

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  /** An id of the contract's form. */
  id(name: string): string {
    return this.#asId(name, this.text(name, 64));
  }

  /** Undefined where it is absent or empty, as Fynd sends what it does not know. */
  optionalId(name: string): string | undefined {
    const text = this.optionalText(name, 64);
    return text === undefined || text === '' ? undefined : this.#asId(name, text);
  }

  text(name: string, longest: number): string {
    const text = this.optionalText(name, longest);
    if (text !== undefined && text !== '') return text;
    throw BrowserError.badRequest(name, this.beginning);
  }

  /** A list means that it was given twice. */
  optionalText(name: string, longest: number): string | undefined {
    const value = this.values[name];
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length <= longest) return value;
    throw BrowserError.badRequest(name, this.beginning);
  }

  /** All of them, those that were given twice twice. */
  parameters(): URLSearchParams {
    return new URLSearchParams(
      Object.entries(this.values).flatMap(([name, value]) =>
        [value].flat().map((one): [string, string] => [name, String(one)]),
      ),
    );
  }

  #asId(name: string, text: string): string {
    if (isId(text)) return text;
    throw BrowserError.badRequest(name, this.beginning);
  }
}
