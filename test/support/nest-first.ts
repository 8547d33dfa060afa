// CommonJS packages that require Nest get the copy that jest's ES modules have only if it was loaded before them.
import 'reflect-metadata';
import '@nestjs/common';
import '@nestjs/core';
