/** Collects the license of every package in the bundle into one file beside it, as the licenses require. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Rolldown } from 'tsdown';

/** Returns a plugin that writes `THIRD-PARTY-LICENSES.txt`. */
export function thirdPartyLicenses(): Rolldown.Plugin {
  return {
    name: 'third-party-licenses',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
      const folders = new Set(
        modules.flatMap((id) => id.match(/^\/?[^\0]*\/node_modules\/(@[^/]+\/)?[^/]+(?=\/)/)?.[0] ?? []),
      );
      const source = [...folders]
        .sort()
        .map(licenseOf)
        .join(`\n${'-'.repeat(80)}\n\n`);
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-LICENSES.txt', source });
    },
  };
}

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  const texts = files.map((file) => readFileSync(`${folder}/${file}`, 'utf8').trimEnd());
  return [`${name} ${version}, ${license}`, ...texts, ''].join('\n\n');
}
