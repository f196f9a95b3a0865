import Glibc

/// Opens descriptors 0, 1 and 2 on /dev/null if the process was started without them.
///
/// Otherwise the next file opened gets such a number, and messages for standard error are written into it. Call this
/// before anything opens a descriptor.
package func openStandardStreams() throws(Errno) {
  for number: Int32 in 0...2 where fcntl(number, F_GETFD) < 0 {
    // open(2) returns the lowest free number, and all lower ones are open. Not close-on-exec: children inherit the streams.
    guard unsafe open("/dev/null", O_RDWR) == number else { throw .last }
  }
}
