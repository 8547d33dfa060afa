/** A provider's behaviour as it is now, changed over HTTP while the simulator runs. */
export class SettingsStore<Settings extends object> {
  private now: Settings;

  /**
   * @param start what a reset goes back to
   * @param schema JSON schema of a partial change; it must refuse unknown names
   */
  constructor(
    private readonly start: Settings,
    readonly schema: object,
  ) {
    this.now = start;
  }

  get current(): Readonly<Settings> {
    return this.now;
  }

  /** Replaces the settings that are named and leaves the others alone. The change must have passed `schema`. */
  change(part: Partial<Settings>): void {
    this.now = { ...this.now, ...part };
  }

  reset(): void {
    this.now = this.start;
  }
}
