import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Copy, DockerfileParser, type Instruction } from 'dockerfile-ast';
import type { Ended } from './replica.js';

interface Stage {
  readonly image: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** What the stage `build` has made: the SBOM, what it has taken away again, and what it has put elsewhere, by its new place. */
interface Built {
  readonly sbom: string;
  readonly dropped: RegExp;
  readonly moved?: Readonly<Record<string, string>>;
}

/** A program that runs as it would in a container. */
export interface Contained {
  readonly child: ChildProcess;
  output(): string;
  ended(): Promise<Ended>;
}

const NODE = dirname(process.execPath);

/** What a Dockerfile makes, laid out in a folder on this machine: by its own commands and copies, without an engine. */
export class Image {
  readonly stages: readonly Stage[];
  readonly #folder: string;

  /** @param target the stage that is run; the last one where none is told */
  constructor(
    dockerfile: string,
    folder: string,
    private readonly target?: string,
  ) {
    this.#folder = folder;
    const stages: { image: string; name: string | undefined; instructions: Instruction[] }[] = [];
    for (const instruction of DockerfileParser.parse(readFileSync(dockerfile, 'utf8')).getInstructions()) {
      const [image = '', , name] = instruction.getArguments().map((argument) => argument.getValue());
      if (instruction.getKeyword() === 'FROM') stages.push({ image, name, instructions: [] });
      else stages.at(-1)?.instructions.push(instruction);
    }
    this.stages = stages;
  }

  /** The image's `/app`. */
  get app(): string {
    return join(this.#folder, 'app');
  }

  /** Of one kind, in a stage by its name; in the one that is run where none is told. */
  all(keyword: string, name = this.target): Instruction[] {
    const stage = name === undefined ? this.stages.at(-1) : this.stages.find((it) => it.name === name);
    return stage?.instructions.filter((it) => it.getKeyword() === keyword) ?? [];
  }

  the(keyword: string, name?: string): Instruction {
    const [found, ...more] = this.all(keyword, name);
    if (!found || more.length > 0) throw new Error(`there is not one ${keyword}`);
    return found;
  }

  /** Runs the command of the stage `packages`, and copies what the others have into the last; `built` stands for `build`. */
  async lay(built: Built): Promise<void> {
    const packages = join(this.#folder, 'packages');
    mkdirSync(packages, { recursive: true });
    for (const file of ['package.json', 'package-lock.json']) cpSync(file, join(packages, file));
    const env = { ...process.env, PATH: `${NODE}:${process.env['PATH']}`, npm_config_prefer_offline: 'true' };
    const command = this.the('RUN', 'packages').getArgumentsContent() ?? '';
    await promisify(execFile)('sh', ['-c', command], { cwd: packages, env });
    this.#copy(packages, built);
  }

  /** The same without a network and in a second: the packages that the lock file has for it, linked from the ones that are here. */
  layLinked(built: Built): void {
    const packages = join(this.#folder, 'packages');
    for (const path of packagesOfTheService()) {
      if (existsSync(path)) linkFolder(path, join(packages, path));
    }
    this.#copy(packages, built);
  }

  #copy(packages: string, built: Built): void {
    mkdirSync(this.app, { recursive: true });
    for (const copy of this.all('COPY') as Copy[]) {
      const paths = copy.getArguments().map((argument) => argument.getValue());
      const target = paths.pop() ?? '';
      const isPackages = copy.getFromFlag()?.getValue() === 'packages';
      for (const path of paths.map((it) => it.replace(/^\/app\//, ''))) {
        const to = join(this.app, target.endsWith('/') ? path : target);
        if (path === 'sbom.json') writeFileSync(to, built.sbom);
        else if (isPackages) renameSync(join(packages, path), to);
        else {
          const from = built.moved?.[path] ?? path;
          cpSync(from, to, { recursive: true, filter: (it) => !built.dropped.test(it) });
        }
      }
    }
  }

  /** Runs the image; `parameters` stand in for its CMD, as those of `docker run`. */
  run(env: Readonly<Record<string, string>>, parameters = commandOf(this.the('CMD'))): Contained {
    return this.#spawn([...commandOf(this.the('ENTRYPOINT')), ...parameters], env);
  }

  /** The exit code of its HEALTHCHECK. */
  async check(env: Readonly<Record<string, string>>): Promise<number | null> {
    return (await this.#spawn(commandOf(this.the('HEALTHCHECK')), env).ended()).code;
  }

  #spawn([program = '', ...parameters]: readonly string[], env: Readonly<Record<string, string>>): Contained {
    const own = this.all('ENV')
      .flatMap((instruction) => instruction.getArguments())
      .map((argument) => argument.getValue().split('=') as [string, string]);
    const child = spawn(program, parameters, {
      cwd: this.app,
      // Whatever wants to write somewhere finds that it may do so here, where it is seen.
      env: { PATH: NODE, HOME: this.app, TMPDIR: this.app, ...Object.fromEntries(own), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
    return { child, output: () => output, ended: () => ended };
  }
}

/** What `npm ci --omit=dev --omit=optional` installs, by the lock file: paths from the top of the repository. */
export function packagesOfTheService(): string[] {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dev?: true; optional?: true; devOptional?: true }>;
  };
  return Object.entries(packages)
    .filter(([path, it]) => path !== '' && !it.dev && !it.optional && !it.devOptional)
    .map(([path]) => path);
}

/** A package without those that lie in it. Its files are linked, or copied where they lie on another disk. */
function linkFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory() && entry.name !== 'node_modules') linkFolder(source, target);
    if (!entry.isFile()) continue;
    try {
      linkSync(source, target);
    } catch {
      copyFileSync(source, target);
    }
  }
}

/** A command that no shell reads; a HEALTHCHECK's stands behind its flags. */
export function commandOf(instruction: Instruction): string[] {
  const text = instruction.getArgumentsContent() ?? '';
  return JSON.parse(text.slice(text.indexOf('["'))) as string[];
}
