/** What names a secret, in a query, a form or JSON. */
const NAMES =
  '(?:access_|refresh_|id_|api_|client_|admin_|service_)?(?:token|secret|password|passwd|key)|authorization|cookie|code_verifier|code|state|assertion|ticket|sealed_\\w+';

/** Each form in which a secret may come to stand in a text, and what is left of it. */
const FORMS: readonly (readonly [RegExp, string])[] = [
  [/\b(tbk_[0-9a-f]{16})_[A-Za-z0-9_-]{43}/g, '$1_[redacted]'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, '$1 [redacted]'],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, '[redacted]'],
  [/:\/\/[^\s/:@"'\\]*:[^\s/@"'\\]+@/g, '://[redacted]@'],
  // In a query or a form, also where its name is encoded no further.
  [new RegExp(`([?&\\s]|^)((?:${NAMES})=)[^&\\s"'\\\\]+`, 'gi'), '$1$2[redacted]'],
  // In JSON, also where that stands in a text within JSON.
  [new RegExp(`("(?:${NAMES})"\\s*:\\s*")(?:\\\\.|[^"\\\\])+`, 'gi'), '$1[redacted]'],
  [new RegExp(`(\\\\"(?:${NAMES})\\\\"\\s*:\\s*\\\\")[^"\\\\]+`, 'gi'), '$1[redacted]'],
];

/**
 * The text without what looks like a secret. None should come this far: messages are made of ids and codes, and secrets print as
 * `[secret]`. This is for what nobody foresaw, such as an error of a library that quotes what it was given.
 */
export function redacted(text: string): string {
  return FORMS.reduce((left, [form, instead]) => left.replace(form, instead), text);
}
