/** Writes families of metrics as Prometheus reads them, with those of the process. The library loads at the first scrape. */
import type { Metric, MetricObjectWithValues, MetricValue, Registry } from '@prometheus-io/client';
import type { Family, Sample } from './families.ts';

type Library = typeof import('@prometheus-io/client');
type Written = MetricObjectWithValues<MetricValue<string>>;

export interface Exposition {
  contentType: string;
  text: string;
}

/** `accept` is the header of the request: OpenMetrics where it is named, else the text format of Prometheus. */
export async function expose(families: readonly Family[], accept = ''): Promise<Exposition> {
  const { default: library } = await import('@prometheus-io/client');
  const isOpen = /\bapplication\/openmetrics-text\b/i.test(accept);
  const registry = new library.Registry(isOpen ? library.openMetricsContentType : library.prometheusContentType);
  for (const metric of [...families.map(written), ...(await ofProcess(library))]) add(registry, metric, isOpen);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** A registry adds `_total` to the names of counters for OpenMetrics, and takes it away from the metrics themselves. */
function add(registry: Registry, metric: Written, isOpen: boolean): void {
  const name = isOpen && `${metric.type}` === 'counter' ? metric.name.replace(/_total$/, '') : metric.name;
  const named = { ...metric, name };
  registry.registerMetric({ ...named, get: async () => named } as unknown as Metric<string>);
}

function written(family: Family): Written {
  const { name, help, type } = family;
  const values = family.samples().map(({ suffix = '', labels, value }: Sample) => {
    return { labels, value, ...(suffix && { metricName: name + suffix }) };
  });
  return { name, help, type, values, aggregator: 'sum' } as unknown as Written;
}

/** The others have names that are against the rules, or lie until a first delay was seen. */
const PROCESS =
  /^(process_\w+|nodejs_(eventloop_lag_(seconds|max_seconds|p\d\d_seconds)|gc_\w+|heap_size_\w+|external_\w+|version_\w+))$/;

/** Of the process, whatever the number of daemons in it: they observe garbage collections and the event loop. */
let processRegistry: Registry | undefined;

async function ofProcess({ Registry, collectDefaultMetrics }: Library): Promise<Written[]> {
  if (processRegistry === undefined) {
    processRegistry = new Registry();
    const seldom = { eventLoopMonitoringPrecision: 20, eventLoopUtilizationTimeout: 60_000 };
    collectDefaultMetrics({ register: processRegistry, ...seldom });
  }
  const metrics = await processRegistry.getMetricsAsJSON();
  return metrics.filter(({ name }) => PROCESS.test(name));
}
