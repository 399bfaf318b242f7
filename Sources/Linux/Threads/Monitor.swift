internal import Glibc

/// A value that threads share, and wait on until it is as they need it.
///
/// For what many clients' threads share, also without waiting on it: a thread that runs takes a lock that is free. `Mutex` of
/// Synchronization has the kernel hand its lock to the thread that has waited longest (FUTEX_UNLOCK_PI of futex(2)). Where many
/// threads meet on few processors, each of them then waits for a processor while it has the lock, and all others for it.
@safe
package final class Monitor<State: ~Copyable>: @unchecked Sendable {
    // Touched only while `mutex` is held. That Swift checks each access to a stored property would cost as much as the mutex.
    private let state: UnsafeMutablePointer<State>
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    package init(_ state: consuming State) {
        unsafe self.state = .allocate(capacity: 1)
        unsafe self.state.initialize(to: state)
        unsafe mutex = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(changed, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    /// Reads the value, or changes it in a way that no thread waits for.
    package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try unsafe body(&state.pointee)
    }

    /// Changes the value, and wakes all threads that wait on it.
    @discardableResult
    package func update<Result>(_ body: (inout State) -> Result) -> Result {
        // Woken after the lock is free, or they would wait for that first.
        defer { unsafe pthread_cond_broadcast(changed) }
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return unsafe body(&state.pointee)
    }

    /// Waits until `body` gives something other than nil. It is asked at once and after each update, under the lock.
    @discardableResult
    package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = unsafe body(&state.pointee) { return result }
            unsafe pthread_cond_wait(changed, mutex)
        }
    }

    /// The same, at most until a deadline.
    ///
    /// - Returns: nil once the deadline has passed and `body` still gives nil.
    package func wait<Result>(until deadline: Instant, _ body: (inout State) -> Result?) -> Result? {
        waitWithDeadline { state, next in
            next = deadline
            return body(&state)
        }
    }

    /// The same, where each call of `body` sets the deadline again; nil for none.
    package func waitWithDeadline<Result>(
        _ body: (_ state: inout State, _ deadline: inout Instant?) -> Result?
    ) -> Result? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            var deadline: Instant?
            if let result = unsafe body(&state.pointee, &deadline) { return result }
            guard let deadline else {
                unsafe pthread_cond_wait(changed, mutex)
                continue
            }
            let left = deadline - .now
            if left.nanoseconds == 0 { return nil }
            var until = timespec()
            unsafe clock_gettime(CLOCK_MONOTONIC, &until)
            // A day at a time: the clocks differ by the time that the machine slept.
            let nanoseconds = UInt64(until.tv_nsec) + min(left.nanoseconds, 86_400_000_000_000)
            until.tv_sec += Int(nanoseconds / 1_000_000_000)
            until.tv_nsec = Int(nanoseconds % 1_000_000_000)
            unsafe pthread_cond_timedwait(changed, mutex, &until)
        }
    }
}
