/** What a key-encryption key does, wherever it is. `binding` is what a wrapped key belongs to: it unwraps with no other. */
export interface KeyWrapping {
  wrap(plain: Buffer, binding: Buffer): Promise<Buffer>;
  /** Undefined where this key is not the one that has wrapped it, or it was changed. Throws KeyServiceError. */
  unwrap(wrapped: Buffer, binding: Buffer): Promise<Buffer | undefined>;
}

/** A key service did not do what it was asked. */
export class KeyServiceError extends Error {
  /**
   * @param why its own code for it, never its text
   * @param isAway it may do it later; else somebody has to mend something first
   */
  constructor(
    readonly keyId: string,
    readonly why: string,
    readonly isAway: boolean,
  ) {
    super(`the service of the key-encryption key "${keyId}" ${isAway ? 'is away' : 'refuses'} (${why})`);
    this.name = 'KeyServiceError';
  }
}
