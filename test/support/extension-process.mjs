// An extension on Fynd's library as a process of its own, with the library's storage for SQLite: on its own, or with its
// grants left to the broker. `GET /call/{company}` asks Fynd's API in the name of a company.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { DatabaseSync } from 'node:sqlite';

const require = createRequire(import.meta.url);
const settings = JSON.parse(process.argv[2] ?? '{}');
const { setupFdk } = require('@gofynd/fdk-extension-javascript/express');
const { SQLiteStorage } = require('@gofynd/fdk-extension-javascript/express/storage');
const express = require('express');
const cookies = require('cookie-parser');

/** As much of the interface of `sqlite3`, which the library was written for, as it uses. */
class Client {
  constructor(file) {
    this.database = new DatabaseSync(file);
  }

  run(sql, values = []) {
    this.database.prepare(sql).run(...values);
  }

  get(sql, values, told) {
    try {
      told(null, this.database.prepare(sql).get(...values));
    } catch (error) {
      told(error);
    }
  }
}

let storage = new SQLiteStorage(new Client(settings.store), 'ext');
if (settings.broker) {
  const { FyndExtensionStorage, TokenBroker } = await import(settings.client);
  const broker = new TokenBroker({ url: settings.broker, key: settings.key });
  storage = new FyndExtensionStorage(storage, broker, { publicUrl: settings.publicUrl });
}

const url = `http://127.0.0.1:${settings.port}`;
const landed = () => Promise.resolve(`${url}/welcome`);
const fdk = await setupFdk(
  {
    api_key: settings.apiKey,
    api_secret: settings.apiSecret,
    base_url: url,
    cluster: settings.cluster,
    storage,
    callbacks: { auth: landed, uninstall: landed },
  },
  true,
);
const app = express();
app.use(express.json());
app.use(cookies('test'));
app.use(fdk.fdkHandler);
app.get('/call/:company', async (request, response) => {
  try {
    const client = await fdk.getPlatformClient(request.params.company);
    await client.configuration.getApplications();
    response.json({ worked: true });
  } catch (error) {
    response.status(500).json({ worked: false, code: error?.code ?? null });
  }
});
createServer(app).listen(settings.port, '127.0.0.1', () => process.stdout.write('listening\n'));
