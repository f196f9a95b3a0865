import Testing

@testable import Reactor

@Suite struct EventTagTests {
  @Test(arguments: [UInt32(0), 1, 0x7FFF_FFFF, 0xFFFF_FFFE], [UInt32(0), 1, 0x7FFF_FFFF])
  func `holds its slot and generation`(slot: UInt32, generation: UInt32) {
    let tag = EventTag(slot: slot, generation: generation)
    #expect(tag.slot == slot && tag.generation == generation && tag.newDescriptor == nil)
  }

  @Test(arguments: [Int32(0), 3, 1_000_000, .max], [0, 1, 65_535])
  func `holds a new descriptor and its listener`(descriptor: Int32, listener: Int) {
    let tag = EventTag(newDescriptor: descriptor, listener: listener)
    #expect(tag.newDescriptor == descriptor && tag.listener == listener)
  }
}
