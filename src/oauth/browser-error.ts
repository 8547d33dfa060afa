import type { ProblemCode } from '../shared/problem.js';

/** How a seller begins a consent: on opening an extension, or on a link that somebody sent. */
export type Beginning = 'extension' | 'link';

const AGAIN: Readonly<Record<Beginning, string>> = {
  extension: 'Open the extension from Fynd again.',
  link: 'Ask for a new link and open that one.',
};

/** What went wrong, told to a seller: a title, what happened, what to do next, and perhaps a link to begin again. */
export class BrowserError extends Error {
  private constructor(
    readonly code: ProblemCode,
    readonly title: string,
    readonly text: string,
    readonly again: string | null = null,
  ) {
    super(title);
    this.name = 'BrowserError';
  }

  static badRequest(field: string, beginning: Beginning): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This link is not complete',
      `The address lacks a valid ${field}, or has it twice. ${AGAIN[beginning]}`,
    );
  }

  static unknownExtension(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This extension is not known here',
      `The link names an extension or a Fynd cluster that this service does not work for. ${AGAIN.extension}`,
    );
  }

  static unknownLink(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This link is not good any more',
      `Each link works once, for ten minutes. ${AGAIN.link}`,
    );
  }

  static badPath(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This link leads nowhere',
      `The page that you were to land on is not one of the extension's own. ${AGAIN.extension}`,
    );
  }

  static unknownState(beginning: Beginning): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This consent is not one that was begun here',
      `It was begun in another browser, more than ten minutes ago, or not at all. ${AGAIN[beginning]}`,
    );
  }

  static usedState(beginning: Beginning): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This consent was used already',
      `Each consent works once. If it does not work: ${AGAIN[beginning]}`,
    );
  }

  static mismatch(beginning: Beginning): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This consent is for another company',
      `It came back for another company, extension or service than it was begun for, so nothing was changed. ${AGAIN[beginning]}`,
    );
  }

  static denied(beginning: Beginning): BrowserError {
    return new BrowserError(
      'invalid_request',
      'You did not agree',
      `Nothing was connected. If that was not what you meant, begin again and agree to what is asked for. ${AGAIN[beginning]}`,
    );
  }

  static refusedCode(title: string, again: string | null): BrowserError {
    return new BrowserError(
      'invalid_request',
      `${title} did not accept this consent`,
      `It may have taken too long. Nothing was changed; begin again.${again === null ? ` ${AGAIN.link}` : ''}`,
      again,
    );
  }

  static unavailable(title: string, again: string | null): BrowserError {
    return new BrowserError(
      'provider_unavailable',
      `${title} cannot be reached now`,
      `Nothing was changed. Wait a minute and begin again.${again === null ? ` ${AGAIN.link}` : ''}`,
      again,
    );
  }

  static busy(): BrowserError {
    return new BrowserError(
      'provider_unavailable',
      'Too many people are connecting just now',
      'Nothing was changed, and your consent is still good: load this page again in a few seconds.',
    );
  }

  static nonsense(title: string, again: string | null): BrowserError {
    return new BrowserError(
      'provider_protocol_error',
      `${title} answered something unexpected`,
      'Nothing was changed. Wait a minute and begin again.',
      again,
    );
  }

  static misconfigured(title: string): BrowserError {
    return new BrowserError(
      'provider_misconfigured',
      'This is not set up rightly',
      `${title} does not accept the registration of this service. Nothing was changed; please tell whoever runs it.`,
    );
  }

  /** What the company's part of a consent came to is kept; the user's part came to nothing. */
  static noSession(code: ProblemCode, title: string, again: string | null): BrowserError {
    return new BrowserError(
      code,
      'The company is connected, but you are not signed in',
      `${title} gave no access for you yourself. Wait a minute and begin again; if that does not help, please tell whoever runs this service.`,
      again,
    );
  }

  static broken(code: ProblemCode): BrowserError {
    return new BrowserError(
      code,
      'Something went wrong here',
      'Nothing was connected. Wait a minute and begin again where you began.',
    );
  }
}
