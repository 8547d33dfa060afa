import { Inject, Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';

/** The API in its own words: OpenAPI 3.1, as JSON. Whoever asks first has it made, so that no start waits for it. */
@Injectable()
export class ApiDescription {
  #made: Promise<string> | undefined;

  constructor(
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  json(): Promise<string> {
    return (this.#made ??= this.#make());
  }

  async #make(): Promise<string> {
    const [{ describe }, { listRoutes }] = await Promise.all([
      import('./document.js'),
      import('./routes.js'),
    ]);
    return JSON.stringify(describe(listRoutes(this.modules), this.settings.publicUrl));
  }
}
