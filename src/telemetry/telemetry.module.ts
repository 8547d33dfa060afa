import { Module } from '@nestjs/common';
import { ConsentMetrics } from './consent-metrics.js';
import { KeyMetrics } from './key-metrics.js';
import { Metrics } from './metrics.js';
import { RequestMetrics } from './request-metrics.js';
import { ResourceMetrics } from './resource-metrics.js';
import { Tracing } from './tracing.js';
import { StandingMetrics } from './standing-metrics.js';

const ALL = [Metrics, RequestMetrics, StandingMetrics, ResourceMetrics, ConsentMetrics, KeyMetrics, Tracing];

@Module({ providers: ALL, exports: ALL })
export class TelemetryModule {}
