import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const { resolve } = createRequire(import.meta.url);

/** Nothing but our own files may load or run, and nothing that the page does reaches another site. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What starts Swagger UI: a file of its own, since the policy lets no script stand in the page. */
export const START = `SwaggerUIBundle({
  url: '/openapi.json',
  domNode: document.getElementById('api'),
  deepLinking: true,
  // A validator would be another site.
  validatorUrl: null,
});
`;

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Token Broker: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

/** A file of Swagger UI, as it was installed. */
export function readPart(name: 'swagger-ui-bundle.js' | 'swagger-ui.css'): Promise<Buffer> {
  return readFile(resolve(`swagger-ui-dist/${name}`));
}
