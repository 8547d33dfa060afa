/** Stops the PostgreSQL of the global setup and removes its folder. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.stopTestPostgres?.();
}
