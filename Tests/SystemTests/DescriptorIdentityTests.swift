import Glibc
import System
import Testing

@Suite struct DescriptorIdentityTests {
  @Test func `tells a descriptor from the next one of its number`() throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let identity = DescriptorIdentity(of: number)
    #expect(identity != nil && identity == DescriptorIdentity(of: number))
    // Another socket takes the number over, with no moment at which it is free for other tests' threads.
    let other = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer {
      close(number)
      close(other)
    }
    #expect(dup2(other, number) == number)
    #expect(DescriptorIdentity(of: number) != identity)
    #expect(DescriptorIdentity(of: -1) == nil)
  }
}
