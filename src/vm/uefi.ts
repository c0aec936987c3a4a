// UEFI firmware for guests: where distributions put OVMF, and a run's own copy of its variables.
import { access, copyFile, constants } from 'node:fs/promises'

export interface UefiFirmware {
  readonly code: string
  /** Copied for every run: what a guest keeps in its variables lasts one run. Boot loaders at the removable path need nothing there. */
  readonly variablesTemplate: string
}

/** Debian and Ubuntu, Fedora and its kin, Arch, openSUSE; each pair from the package ovmf or edk2-ovmf. */
const PLACES: readonly UefiFirmware[] = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variablesTemplate: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variablesTemplate: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variablesTemplate: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
  { code: '/usr/share/qemu/ovmf-x86_64-4m-code.bin', variablesTemplate: '/usr/share/qemu/ovmf-x86_64-4m-vars.bin' },
]

/** Null where this host has none. */
export async function findUefi(places: readonly UefiFirmware[] = PLACES): Promise<UefiFirmware | null> {
  for (const place of places) {
    if ((await isReadable(place.code)) && (await isReadable(place.variablesTemplate))) return place
  }
  return null
}

/** For a run that was never tried: nothing of it is overwritten. */
export async function copyVariables(firmware: UefiFirmware, path: string): Promise<void> {
  await copyFile(firmware.variablesTemplate, path, constants.COPYFILE_EXCL)
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}
