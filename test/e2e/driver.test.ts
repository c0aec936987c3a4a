// The driver contract on real QEMU under emulation, and what only real processes can show.
import { driverContract } from '../contract/driver.ts'
import { QemuWorld } from './qemu-world.ts'

driverContract('QEMU', () => QemuWorld.open())
