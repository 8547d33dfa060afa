/**
 * How many cases there are of what more of prove no more, but find the rare one: few in each run, and as many as it takes in
 * `npm run test:long`.
 */
export function casesOf({ short, long }: { readonly short: number; readonly long: number }): number {
  return process.env['LONG'] === 'true' ? long : short;
}
