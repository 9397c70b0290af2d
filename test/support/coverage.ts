/**
 * V8's coverage, with the sources converted once for all projects: they transform them alike, and one conversion takes
 * the main process seconds in which no test runs.
 */
import v8 from '@vitest/coverage-v8';
import type { CoverageProvider, CoverageProviderModule, TestProject } from 'vitest/node';

interface Reading {
  onFileRead: (coverage: unknown) => void;
  onFinished: (project: TestProject, environment: string) => Promise<void>;
  onDebug: unknown;
}

/** The part of vitest's base class that goes through what the workers wrote, project by project. */
interface Reader extends CoverageProvider {
  readCoverageFiles(reading: Reading): Promise<void>;
}

async function getProvider(): Promise<CoverageProvider> {
  const provider = (await v8.getProvider()) as Reader;
  const readProjects = provider.readCoverageFiles.bind(provider);
  provider.readCoverageFiles = async ({ onFinished, ...reading }) => {
    let finish: (() => Promise<void>) | undefined;
    await readProjects({
      ...reading,
      onFinished: async (...of) => {
        finish = () => onFinished(...of);
      },
    });
    await finish?.();
  };
  return provider;
}

export default { ...v8, getProvider } satisfies CoverageProviderModule;
