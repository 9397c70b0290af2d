/** A provider that the storage does without is, once it is open, a provider like any other: the conformance suite. */
import { strayFiles } from '../support/files.ts';
import { describeProvider, openMain } from './provider-suite.ts';

describeProvider('local, not required', {
  open: (options) =>
    openMain({
      settings: (basePath) => ({ type: 'local', basePath, required: false }),
      leftovers: strayFiles,
      ...options,
    }),
  storageType: 'local',
  urlOf: (key) => new RegExp(`^/${key}$`),
});
