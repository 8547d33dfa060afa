/** Whether the user has set the variable, or the file that NAME_FILE names. Empty counts as not set. */
export function given(env: NodeJS.ProcessEnv, name: string): boolean {
  return Boolean(env[name] || env[`${name}_FILE`]);
}
