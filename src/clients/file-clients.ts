import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import { ConfigurationError } from '../config/mistakes.js';
import type { Settings } from '../config/settings.js';
import { BROKER } from '../shared/actor.js';
import { ClientStore } from './client.store.js';

const UNIQUE_VIOLATION = '23505';

/** At the start, makes the clients of CLIENTS_FILE what it says. While replicas start with another file, the last one counts. */
@Injectable()
export class FileClients implements OnApplicationBootstrap {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly store: ClientStore,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (!this.settings.clients) return;
    try {
      await this.store.reconcile(this.settings.clients, BROKER);
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
      throw new ConfigurationError([
        'CLIENTS_FILE: a workload in it belongs to a client that was made over the API; delete that one first',
      ]);
    }
  }
}
