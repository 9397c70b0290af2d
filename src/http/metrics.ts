/** Answers scrapes of Prometheus under `/metrics`. */
import { begin } from './errors.ts';
import type { PlainRoute } from './plain-routes.ts';
import type { HttpRequest, HttpResponse } from './router.ts';

/** Returns what a scrape gets that accepts these media types. */
export type Scrape = (accept?: string) => Promise<{ contentType: string; text: string }>;

export function metricsRoute(scrape: Scrape): PlainRoute {
  return {
    methods: ['GET', 'HEAD'],
    path: /^\/metrics$/,
    scope: 'read',
    name: '/metrics',
    answer: ({ request, response }) => answerScrape(request, response, scrape),
  };
}

async function answerScrape({ method, headers }: HttpRequest, response: HttpResponse, scrape: Scrape): Promise<void> {
  const { contentType, text } = await scrape(headers.accept);
  begin(response, 200, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(method === 'HEAD' ? '' : text);
}
