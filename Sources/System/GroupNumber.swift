import Glibc

/// The number of a group of this machine; nil where there is none of that name.
package func groupNumber(named name: String) -> UInt32? {
  var entry = unsafe group()
  var found: UnsafeMutablePointer<group>?
  // A group with many members takes more than the usual.
  var room = [CChar](repeating: 0, count: 1 << 20)
  let fault = unsafe room.withUnsafeMutableBufferPointer { room in
    unsafe getgrnam_r(name, &entry, room.baseAddress!, room.count, &found)
  }
  guard fault == 0, unsafe found != nil else { return nil }
  return unsafe entry.gr_gid
}
