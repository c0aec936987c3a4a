// An agent of one driver and nothing else, to be killed: prints a line once its guest runs, and then waits for its end.
// Run as: node driver-holder.ts DIRECTORY SPEC.json
import { readFileSync } from 'node:fs'
import { type StartSpec } from '../../src/vm/driver.ts'
import { openDriver } from './qemu-world.ts'
