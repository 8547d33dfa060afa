import { Controller, Get, Header } from '@nestjs/common';
import { Public } from '../http/access.js';
import { Answers } from '../http/description.js';
import { ApiDescription } from './api-description.js';
import { PAGE, PAGE_POLICY, readPart, START } from './page.js';

const WHY_PUBLIC = 'it describes the API and holds no secret; a browser has no key to send';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';
/** The files of Swagger UI are those of a release. */
const KEPT = 'private, max-age=3600';

/** The API's description, for programs and for people; on the internal listener alone. */
@Controller()
export class DocsController {
  constructor(private readonly description: ApiDescription) {}

  @Get('openapi.json')
  @Public(WHY_PUBLIC)
  @Answers('This description', { media: 'application/json' })
  @Header('content-type', 'application/json; charset=utf-8')
  openapi(): Promise<string> {
    return this.description.json();
  }

  @Get('docs')
  @Public(WHY_PUBLIC)
  @Answers('This description for people', { media: 'text/html' })
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', PAGE_POLICY)
  @Header('x-content-type-options', 'nosniff')
  page(): string {
    return PAGE;
  }

  @Get('docs/start.js')
  @Public(WHY_PUBLIC)
  @Answers('What starts the page', { media: 'text/javascript' })
  @Header('content-type', SCRIPT)
  start(): string {
    return START;
  }

  @Get('docs/swagger-ui-bundle.js')
  @Public(WHY_PUBLIC)
  @Answers("The page's program", { media: 'text/javascript' })
  @Header('content-type', SCRIPT)
  @Header('cache-control', KEPT)
  program(): Promise<Buffer> {
    return readPart('swagger-ui-bundle.js');
  }

  @Get('docs/swagger-ui.css')
  @Public(WHY_PUBLIC)
  @Answers("The page's style", { media: 'text/css' })
  @Header('content-type', STYLE)
  @Header('cache-control', KEPT)
  style(): Promise<Buffer> {
    return readPart('swagger-ui.css');
  }
}
