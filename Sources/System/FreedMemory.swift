import CLinux

/// Gives memory that was freed back to the system (malloc_trim(3)); free memory between what is in use, too.
///
/// It takes a few milliseconds, in which other threads may wait for memory.
package func giveBackFreedMemory() {
  _ = malloc_trim(0)
}
