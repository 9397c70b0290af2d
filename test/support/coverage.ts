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

// Test processes load this module again for each file; what counts in them is one object, which keeps its session.
export default {
  startCoverage: (options) => v8.startCoverage?.(options),
  takeCoverage: (options) => v8.takeCoverage?.(options),
  stopCoverage: (options) => v8.stopCoverage?.(options),
  getProvider,
} satisfies CoverageProviderModule;
