// Hunts mutants of the core, all or those named: ./dev run node test/mutants/run.ts [NAME...] [--seeds 4000] [--verbose]
import { parseArgs } from 'node:util'
import { describe, hunt, mutantNames, readMutant } from './hunt.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '4000' }, verbose: { type: 'boolean', default: false } },
})
const names = positionals.length > 0 ? positionals : mutantNames()
let bad = 0
for (const name of names) {
  const hunted = await hunt(readMutant(name), Number(values.seeds))
  const { broken, mutant } = hunted
  console.log(describe(hunted))
  if (broken === undefined || !mutant.checks.includes(broken.check)) bad++
  if (values.verbose && broken !== undefined) console.log(`  ${mutant.breaks}\n  seed ${broken.seed}: ${broken.text}`)
}
console.log(`${names.length - bad} of ${names.length} found as said`)
process.exitCode = bad === 0 ? 0 : 1
