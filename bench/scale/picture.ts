import type { Results } from './results.js';
export function drawPicture(results: Results): string {
  return String(results.calls);
}
