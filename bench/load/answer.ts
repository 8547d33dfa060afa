const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH_NAMES = ['\r\ncontent-length: ', '\r\nContent-Length: '].map((name) => Buffer.from(name));
const ZERO = 0x30;
const STATUS_AT = 'HTTP/1.1 '.length;

/** The first answer of these bytes: its status and how long it is; undefined where it is not whole yet. */
export interface Answer {
  readonly status: number;
  readonly length: number;
}

/** As much of HTTP as an answer with a content-length needs: a client's parser would be most of what is measured. */
export function readAnswer(bytes: Buffer): Answer | undefined {
  const head = bytes.indexOf(HEAD_END);
  if (head < 0) return undefined;
  const length = head + HEAD_END.length + bodyLengthOf(bytes, head);
  if (bytes.length < length) return undefined;
  return { status: numberAt(bytes, STATUS_AT), length };
}

function bodyLengthOf(bytes: Buffer, head: number): number {
  for (const name of LENGTH_NAMES) {
    const at = bytes.indexOf(name);
    if (at >= 0 && at < head) return numberAt(bytes, at + name.length);
  }
  throw new Error(`an answer of no known length:\n${bytes.toString('latin1')}`);
}

function numberAt(bytes: Buffer, from: number): number {
  let number = 0;
  for (let at = from; ; at += 1) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return number;
    number = number * 10 + digit;
  }
}
