/** All that the page says. */

const numbers = new Intl.NumberFormat('en');
const bytes = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const moments = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const dates = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeZone: 'UTC' });
const monthNames = new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' });
const months = new Intl.DateTimeFormat('en', { month: 'short', year: 'numeric', timeZone: 'UTC' });

export const texts = {
  title: 'ImageStorage',
  number: (value: number) => numbers.format(value),
  bytes(value: number) {
    const step = Math.min(4, Math.floor(Math.log10(Math.max(1, value)) / 3));
    return `${bytes.format(value / 1000 ** step)} ${['B', 'kB', 'MB', 'GB', 'TB'][step]}`;
  },
  moment: (ms: number) => moments.format(ms),
  /** YYYY-MM */
  month: (name: string) => months.format(Date.parse(`${name}-01`)),
  pixels: (width: number, height: number) => `${width} × ${height}`,

  search: 'Search',
  searchPlaceholder: 'Search prompts, model:flux, seed:42 …',
  clear: 'Clear',
  count: (matching: number, all: number) =>
    matching === all ? numbers.format(all) : `${numbers.format(matching)} of ${numbers.format(all)}`,
  images: (count: number) => `${numbers.format(count)} ${count === 1 ? 'image' : 'images'}`,
  density: 'Size of the pictures',
  densities: { small: 'Small', medium: 'Medium', large: 'Large', list: 'List' },
  menu: 'Menu',
  orders: { newest: 'Newest first', oldest: 'Oldest first' },
  order: 'Order',
  fit: 'Whole pictures',
  blur: 'Blur everything',
  theme: 'Colours',
  themes: { system: 'As the system', dark: 'Dark', light: 'Light' },
  keysTitle: 'Keys',
  grid: 'Images',
  close: 'Close',
  retry: 'Retry',
  copy: 'Copy',
  copied: 'Copied',
  copyFailed: 'The browser does not let the page copy.',

  /** What a picture shows, for who does not see it. */
  alt: ({ prompt, model }: { prompt: string; model: string }) => prompt || `Image by ${model || 'an unknown model'}`,
  pinned: 'pinned',

  chips: {
    title: 'Filters',
    remove: (name: string) => `Remove the filter ${name}`,
    query: (value: string) => value,
    provider: (value: string) => (value === '*' ? 'all providers' : `provider ${value}`),
    model: (value: string) => `model ${value}`,
    category: (value: string) => `category ${value}`,
    tag: (value: string) => `#${value}`,
    pinned: 'pinned',
    unpinned: 'not pinned',
    since: (value: string) => `from ${value}`,
    until: (value: string) => `to ${value}`,
  },

  charts: {
    title: 'Models and days',
    models: 'Models',
    model: 'Model',
    noModel: 'without a model',
    rest: 'all others',
    days: 'Days',
    dayName: 'Day',
    count: 'Images',
    bytes: 'Bytes',
    asTable: 'Show as a table',
    asCalendar: 'Show as a calendar',
    calendar: (year: number, count: number) => `Images a day of ${year}: ${numbers.format(count)} in all`,
    /** 0: January */
    month: (month: number) => monthNames.format(Date.UTC(2000, month)),
    date: (name: string) => dates.format(Date.parse(name)),
    day: (name: string, count: number) => `${dates.format(Date.parse(name))}: ${texts.images(count)}`,
  },
  empty: {
    title: 'No images yet. Save one, or bring in a folder:',
    command: 'npx image-storage import ~/ComfyUI/output',
  },
  noMatch: (all: number) => `None of ${numbers.format(all)} images matches.`,
  showAll: 'Show all',
  unlock: {
    title: 'This gallery is locked. Its token opens it:',
    open: 'Open',
    hint: 'Made by: image-storage token new NAME --scope read',
    unknown: 'The daemon does not know this token.',
    expired: 'This token has expired.',
    lock: 'Lock on this device',
  },
  problems: {
    offline: 'The daemon does not answer.',
    other: (message: string) => `That did not work: ${message}`,
  },

  image: {
    dialog: 'Image',
    next: 'Next image',
    previous: 'Previous image',
    zoom: 'Actual size',
    download: 'Download',
    panel: 'Details',
    place: (index: number, total: number) => `${numbers.format(index + 1)} of ${numbers.format(total)}`,
    missing: 'There is no such image.',
    broken: 'This picture cannot be shown.',
  },
  panel: {
    title: 'Details',
    nothing: 'No image is chosen.',
    prompt: 'Prompt',
    negative: 'Negative prompt',
    model: 'Model',
    seed: 'Seed',
    sampler: 'Sampler',
    scheduler: 'Scheduler',
    steps: 'Steps',
    cfg: 'CFG',
    loras: 'LoRAs',
    size: 'Size',
    time: 'Time',
    category: 'Category',
    tags: 'Tags',
    provider: 'Provider',
    file: 'File',
    parameters: 'Parameters',
    raw: 'Raw JSON',
    copyOf: (what: string) => `Copy ${what.toLowerCase()}`,
  },

  keys: {
    search: 'Search',
    panel: 'Details',
    blur: 'Blur everything',
    undo: 'Take the last delete back',
    help: 'All keys',
    close: 'Close',
    left: 'Previous image',
    right: 'Next image',
    up: 'Row above',
    down: 'Row below',
    pageUp: 'Page up',
    pageDown: 'Page down',
    first: 'First image',
    last: 'Last image',
    open: 'Open',
    fit: 'Whole pictures or filled squares',
    select: 'Select, with Shift a range',
    compare: 'Compare two selected images',
    pin: 'Pin',
    remove: 'Delete, and move on',
    zoom: 'Actual size',
  },
  keyAreas: { everywhere: 'Everywhere', grid: 'In the grid', image: 'On an image' },
  keyLabels: {
    ' ': 'Space',
    Escape: 'Esc',
    ArrowLeft: '←',
    ArrowRight: '→',
    ArrowUp: '↑',
    ArrowDown: '↓',
    PageUp: 'Page up',
    PageDown: 'Page down',
    Delete: 'Del',
  },
} as const;
