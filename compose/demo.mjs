// Connects the demo company to the simulator's Konnect, as `npm start` does, and prints what to paste.
import { pathToFileURL } from 'node:url';

const { connectDemoCompany, DEMO_COMPANY } = await import(
  pathToFileURL('dist/development/demo-company.js').href
);

const [broker] = process.argv.slice(2);
await connectDemoCompany(broker, process.env);

const key = `$(docker compose exec -T broker cat ${process.env.ADMIN_KEY_FILE})`;
console.log(`
Token Broker is running. A Konnect token of the demo company:

  curl -sS -w '\\n' -H "Authorization: Bearer ${key}" '${broker}/v1/tokens/konnect/companies/${DEMO_COMPANY}'

What the API can do: ${broker}/docs. To stop: docker compose down; with --volumes, everything is forgotten.
`);
