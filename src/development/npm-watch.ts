const LOOK_EVERY_MS = 500;

/**
 * Stops this program in order (SIGTERM) when npm, which has started it, is gone: a killed npm passes nothing on.
 * Does nothing where npm has not started it.
 */
export function stopWithNpm(env: NodeJS.ProcessEnv): void {
  if (!env.npm_lifecycle_event) return;
  const npm = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_EVERY_MS);
  watch.unref();
}
