/** Counts calls by method and code: those of gRPC under the names that go-grpc-middleware has, and those of plain HTTP. */
import type { CallMeter, EndedCall } from '../rpc/call.ts';
import type { MethodLabels } from '../rpc/observer.ts';
import { type Counter, Counters, type Family, Histograms } from './families.ts';

/** To five minutes: an upload may take as long. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const METHOD = ['grpc_type', 'grpc_service', 'grpc_method'];

export class CallFamilies {
  readonly #started = new Counters('grpc_server_started_total', 'Calls that began.', METHOD);
  readonly #handled = new Counters('grpc_server_handled_total', 'Calls that ended, by their status.', [
    ...METHOD,
    'grpc_code',
  ]);
  readonly #received = new Counters('grpc_server_msg_received_total', 'Messages received by calls that ended.', METHOD);
  readonly #sent = new Counters('grpc_server_msg_sent_total', 'Messages sent by calls that ended.', METHOD);
  readonly #seconds = new Histograms('grpc_server_handling_seconds', 'How long calls took.', METHOD, SECONDS);
  readonly #httpHandled = new Counters(
    'image_storage_http_requests_total',
    'Requests of plain HTTP, by their status.',
    ['route', 'code'],
  );
  readonly #httpSeconds = new Histograms(
    'image_storage_http_request_seconds',
    'How long requests of plain HTTP took.',
    ['route'],
    SECONDS,
  );

  get all(): Family[] {
    return [
      this.#started,
      this.#handled,
      this.#received,
      this.#sent,
      this.#seconds,
      this.#httpHandled,
      this.#httpSeconds,
    ];
  }

  /** Shows a method from the start: rates need a first value. */
  ofMethod({ type, service, name }: MethodLabels): CallMeter {
    const method = [type, service, name];
    const [started, received, sent] = [this.#started, this.#received, this.#sent].map((each) => each.of(...method));
    const handled = codes((code) => this.#handled.of(...method, code));
    const seconds = this.#seconds.of(...method);
    handled('OK');
    return {
      started: () => {
        started!.value += 1;
      },
      ended({ code, ms, messages }: EndedCall) {
        handled(code).value += 1;
        received!.value += messages.received;
        sent!.value += messages.sent;
        seconds.observe(ms / 1000);
      },
    };
  }

  /** `route` is its name, not a path. Returns what counts a request that was answered with this status. */
  ofRoute(route: string): (status: number, ms: number) => void {
    const handled = codes((code) => this.#httpHandled.of(route, code));
    const seconds = this.#httpSeconds.of(route);
    return (status, ms) => {
      handled(`${status}`).value += 1;
      seconds.observe(ms / 1000);
    };
  }
}

/** Keeps the counter of each code at hand. */
function codes(find: (code: string) => Counter): (code: string) => Counter {
  const known = new Map<string, Counter>();
  return (code) => {
    let counter = known.get(code);
    if (counter === undefined) {
      counter = find(code);
      known.set(code, counter);
    }
    return counter;
  };
}
