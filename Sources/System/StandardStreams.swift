import Glibc

/// Opens descriptors 0, 1 and 2 on /dev/null where the process was started without them.
///
/// Otherwise the next file that is opened gets the number, and what is meant for standard error is written into it. Call
/// it before anything opens a descriptor.
package func openStandardStreams() throws(Errno) {
  for number: Int32 in 0...2 where fcntl(number, F_GETFD) < 0 {
    // open(2) gives the lowest free number, and those below are open. Not close-on-exec: children have the streams, too.
    guard unsafe open("/dev/null", O_RDWR) == number else { throw .last }
  }
}
