// Lets a process hear of the outside only while it runs: answers and hints pass its own clock, so a frozen one waits and a dead one hears nothing.
import { type Clock } from '../../src/base/clock.ts'
import { type Datastore } from '../../src/inventory/model.ts'
import { type DiskFiles } from '../../src/host/carry-out.ts'
import { type Driver } from '../../src/vm/driver.ts'

export type Files = DiskFiles & { check(datastore: Datastore): Promise<void> }

/** `promise`, settled in a turn of the process whose clock this is; never, if that is dead by then. */
export function through<T>(clock: Clock, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    promise.then(
      (value) => clock.defer(() => resolve(value)),
      (error: unknown) => clock.defer(() => reject(error)),
    )
  })
}

export function driverThrough(clock: Clock, driver: Driver): Driver {
  return {
    list: () => through(clock, driver.list()),
    start: (spec, signal) => through(clock, driver.start(spec, signal)),
    shutdown: (run) => through(clock, driver.shutdown(run)),
    end: (run, intent) => through(clock, driver.end(run, intent)),
    pause: (run) => through(clock, driver.pause(run)),
    resume: (run) => through(clock, driver.resume(run)),
    reset: (run) => through(clock, driver.reset(run)),
    forget: (run) => through(clock, driver.forget(run)),
    counters: () => through(clock, driver.counters()),
    consoleLog: (vm, maxBytes) => through(clock, driver.consoleLog(vm, maxBytes)),
    openConsole: (run) => through(clock, driver.openConsole(run)),
    onChange: (listener) => driver.onChange(() => clock.defer(listener)),
    close: () => through(clock, driver.close()),
  }
}

export function filesThrough(clock: Clock, files: Files): Files {
  return {
    disk: (datastore, disk) => files.disk(datastore, disk),
    file: (datastore, path) => through(clock, files.file(datastore, path)),
    create: (datastore, disk, signal) => through(clock, files.create(datastore, disk, signal)),
    resize: (datastore, disk, toBytes, signal) => through(clock, files.resize(datastore, disk, toBytes, signal)),
    remove: (datastore, disk, signal) => through(clock, files.remove(datastore, disk, signal)),
    check: (datastore) => through(clock, files.check(datastore)),
  }
}
