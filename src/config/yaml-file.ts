import { readFileSync } from 'node:fs';
import { parseDocument, type Document, type YAMLError } from 'yaml';
import { ConfigurationError } from './mistakes.js';

/** What the YAML file at `path` holds, which `variable` names. Throws a ConfigurationError that quotes nothing of it. */
export function readYaml(variable: string, path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigurationError([`${variable}: cannot read ${path} (${code})`]);
  }
  const document = parseDocument(text);
  const fault = document.errors[0];
  if (fault) throw new ConfigurationError([`${path}: ${explainYaml(fault, text)}`]);
  return toValue(path, document);
}

/** The parser's own message would quote the line, and a line may hold a secret. */
function explainYaml({ code, linePos }: YAMLError, text: string): string {
  const line = linePos?.[0].line;
  const isBraced = line !== undefined && /[[{].*\$\{/.test(text.split('\n')[line - 1] ?? '');
  const hint = isBraced ? "; inside of [ ] and { } a variable is to be quoted: ['${NAME}']" : '';
  return `line ${line ?? '?'}: not YAML (${code})${hint}`;
}

/** Aliases are resolved here: one without its anchor, or inside of it, is a mistake like any other. */
function toValue(path: string, document: Document): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(document.toJS() ?? {})) as Record<string, unknown>;
  } catch {
    throw new ConfigurationError([`${path}: an alias leads to nothing, or to itself`]);
  }
}
