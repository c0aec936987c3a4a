// Hunts mutants of the agent in the simulated world, all or those named: ./dev run node test/sim/mutants/run.ts [NAME...] [--seeds 30] [--verbose]
import { parseArgs } from 'node:util'
import { describeHunt, foundBy, huntInWorld, readWorldMutant, worldMutants } from './hunt.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '30' }, verbose: { type: 'boolean', default: false } },
})
const names = positionals.length > 0 ? positionals : worldMutants()
let found = 0
for (const name of names) {
  const hunt = await huntInWorld(readWorldMutant(name), Number(values.seeds))
  console.log(describeHunt(hunt))
  if (foundBy(hunt) !== undefined) found += 1
  if (values.verbose) console.log(`  ${hunt.mutant.breaks}\n  ${hunt.broken?.failure ?? ''}`)
}
console.log(`${found} of ${names.length} found as said`)
process.exitCode = found === names.length ? 0 : 1
