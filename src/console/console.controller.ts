import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../http/access.js';
import { Answers } from '../http/description.js';
import { ConsoleFiles } from './console-files.js';

const WHY_PUBLIC = 'it is a page without anything in it, which asks for a credential';

/** The operator's page: three files, on the internal listener alone. All that it shows it asks the API for. */
@Controller('console')
export class ConsoleController {
  constructor(private readonly files: ConsoleFiles) {}

  @Get()
  @Public(WHY_PUBLIC)
  @Answers("The operator's console", { media: 'text/html' })
  async page(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.files.send('index.html', request, reply);
  }

  @Get('console.js')
  @Public(WHY_PUBLIC)
  @Answers("The console's program", { media: 'text/javascript' })
  async program(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.files.send('console.js', request, reply);
  }

  @Get('console.css')
  @Public(WHY_PUBLIC)
  @Answers("The console's style", { media: 'text/css' })
  async style(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.files.send('console.css', request, reply);
  }
}
