import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The last commit of 0.3.0, before the migrations of 0.4.0. To move it on at the next release: the commit (or the tag) of
 * the release that is out then, `git log --oneline -- migrations` shows where one ends and the next begins.
 */
export const PREVIOUS_RELEASE = 'd2abe56';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The previous release, built beside this one. It takes this one's packages, which may be newer than those it was made with. */
export class PreviousRelease {
  private constructor(private readonly folder: string) {}

  /** Throws where this is no clone of the repository, or not a whole one. */
  static build(): PreviousRelease {
    const folder = mkdtempSync(join(tmpdir(), 'token-broker-previous-'));
    const source = archive();
    writeFileSync(join(folder, 'source.tar'), source);
    execFileSync('tar', ['-xf', 'source.tar'], { cwd: folder });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const nest = join(ROOT, 'node_modules', '.bin', 'nest');
    execFileSync(process.execPath, [nest, 'build'], { cwd: folder, stdio: 'pipe' });
    return new PreviousRelease(folder);
  }

  get program(): string {
    return join(this.folder, 'dist', 'main.js');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function archive(): Buffer {
  try {
    return execFileSync('git', ['archive', '--format=tar', PREVIOUS_RELEASE], {
      cwd: ROOT,
      maxBuffer: 100 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    throw new Error(
      `The previous release (${PREVIOUS_RELEASE}) cannot be had: this needs git, and a whole clone (git fetch --unshallow).`,
      { cause: error },
    );
  }
}
