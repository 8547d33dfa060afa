import type { ProblemCode } from '../shared/problem.js';

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

  static badRequest(field: string): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This link is not complete',
      `The address lacks a valid ${field}, or has it twice. Open the extension from Fynd again.`,
    );
  }

  static unknownExtension(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This extension is not known here',
      'The link names an extension or a Fynd cluster that this service does not work for. Open the extension from Fynd again.',
    );
  }

  static badPath(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This link leads nowhere',
      "The page that you were to land on is not one of the extension's own. Open the extension from Fynd again.",
    );
  }

  static unknownState(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This consent is not one that was begun here',
      'It was begun in another browser, more than ten minutes ago, or not at all. Open the extension from Fynd again.',
    );
  }

  static usedState(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This consent was used already',
      'Each consent works once. If the extension does not work, open it from Fynd again.',
    );
  }

  static mismatch(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'This consent is for another company',
      'It came back for another company or extension than it was begun for, so nothing was changed. Open the extension from Fynd again.',
    );
  }

  static denied(): BrowserError {
    return new BrowserError(
      'invalid_request',
      'You did not agree',
      'Nothing was connected. If that was not what you meant, open the extension from Fynd again and agree to what it asks for.',
    );
  }

  static refusedCode(again: string): BrowserError {
    return new BrowserError(
      'invalid_request',
      'Fynd did not accept this consent',
      'It may have taken too long. Nothing was changed; begin again.',
      again,
    );
  }

  static unavailable(again: string): BrowserError {
    return new BrowserError(
      'provider_unavailable',
      'Fynd cannot be reached now',
      'Nothing was changed. Wait a minute and begin again.',
      again,
    );
  }

  static nonsense(again: string): BrowserError {
    return new BrowserError(
      'provider_protocol_error',
      'Fynd answered something unexpected',
      'Nothing was changed. Wait a minute and begin again.',
      again,
    );
  }

  static misconfigured(): BrowserError {
    return new BrowserError(
      'provider_misconfigured',
      'This extension is not set up rightly',
      'Fynd does not accept its registration. Nothing was changed; please tell whoever runs the extension.',
    );
  }

  static broken(code: ProblemCode): BrowserError {
    return new BrowserError(
      code,
      'Something went wrong here',
      'Nothing was connected. Wait a minute and open the extension from Fynd again.',
    );
  }
}
