import { TestEnvironment } from 'jest-environment-node';
import { loadPackages } from './packages.mjs';

const runIn = loadPackages();

/** Gives each test file packages of its own, out of what is compiled once: see `packages.mjs`. */
export default class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.global.packages = runIn(this.context);
  }
}
