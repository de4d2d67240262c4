//! The `Data` message against hand-written bytes, its rejections, and itself.

use super::{Data, DataError, DataType, Metadata, Mtime};
use bytes::Bytes;
use cairn_dag::pb::PbError;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

#[test]
fn fields_stand_in_the_order_of_their_numbers() {
    let data = Data {
        kind: DataType::HamtShard,
        data: Some(Bytes::from_static(b"d")),
        filesize: Some(300),
        blocksizes: vec![1, 0],
        hash_type: Some(0x22),
        fanout: Some(256),
        mode: Some(0o755),
        mtime: Some(Mtime { secs: -1, nanos: 2 }),
    };
    let expected: &[u8] = &[
        0x08, 5, 0x12, 1, b'd', 0x18, 0xac, 2, 0x20, 1, 0x20, 0, 0x28, 0x22, 0x30, 0x80, 2, 0x38,
        0xed, 3, 0x42, 16, 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0x15, 2, 0, 0, 0,
    ];
    assert_eq!(data.encode(), expected);
    assert_eq!(Data::decode(&Bytes::from_static(expected)), Ok(data));
}

#[test]
fn what_other_makers_write_is_read() {
    let read = |bytes: &'static [u8]| Data::decode(&Bytes::from_static(bytes)).unwrap();
    let packed = read(&[8, 2, 0x22, 3, 1, 0x80, 1]);
    assert_eq!(packed.blocksizes, [1, 128]);
    assert_eq!(read(&[0x18, 5, 8, 2]).filesize, Some(5), "any order");
    assert_eq!(read(&[8, 2, 0x50, 1, 0x5a, 1, 0]).kind, DataType::File, "unknown fields");
    assert_eq!(read(&[8, 1, 8, 4]).kind, DataType::Symlink, "the last one counts");
    assert_eq!(read(&[8, 2, 0x42, 0]).mtime, None, "a time without seconds");
    let nanos = read(&[8, 2, 0x42, 7, 8, 1, 0x15, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(nanos.mtime, None, "more than a second of nanoseconds");
    assert_eq!(read(&[8, 2, 0x38, 0xed, 0x83, 2]).permissions(), Some(0o755), "reserved bits");
}

#[test]
fn refuses_with_the_reason() {
    let rows: &[(&str, &'static [u8], DataError)] = &[
        ("empty", &[], DataError::Type),
        ("no type", &[0x18, 1], DataError::Type),
        ("type 6", &[8, 6], DataError::Type),
        ("type 2^64-1", &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], DataError::Type),
        ("type as bytes", &[0x0a, 1, 2], DataError::Field { number: 1 }),
        ("data as a number", &[8, 2, 0x10, 1], DataError::Field { number: 2 }),
        ("mtime as a number", &[8, 2, 0x40, 1], DataError::Field { number: 8 }),
        (
            "nanoseconds as a number",
            &[8, 2, 0x42, 4, 8, 1, 0x10, 1],
            DataError::Field { number: 8 },
        ),
        ("data cut off", &[8, 2, 0x12, 9, 1], PbError::Truncated.into()),
        ("packed size cut off", &[8, 2, 0x22, 1, 0x80], PbError::Truncated.into()),
    ];
    for (name, bytes, expected) in rows {
        assert_eq!(Data::decode(&Bytes::from_static(bytes)), Err(*expected), "{name}");
    }
    let many = [&[8, 2][..], &[0x20, 1].repeat(65_537)].concat();
    assert_eq!(Data::decode(&many.into()), Err(DataError::TooManySizes));
}

#[test]
fn a_mode_of_zero_is_not_written() {
    let rows =
        [(None, None), (Some(0), None), (Some(0o100_000), None), (Some(0o100_644), Some(0o644))];
    for (mode, written) in rows {
        let metadata = Metadata { mode, mtime: None };
        assert_eq!(metadata.is_empty(), written.is_none(), "{mode:?}");
        assert_eq!(Data::new(DataType::File).with_metadata(&metadata).mode, written, "{mode:?}");
    }
}

fn messages() -> impl Strategy<Value = Data> {
    let kind = prop_oneof![Just(DataType::File), Just(DataType::Raw), Just(DataType::Directory)];
    let bytes = prop::option::of(prop::collection::vec(any::<u8>(), 0..50));
    let sizes = prop::collection::vec(any::<u64>(), 0..10);
    let numbers = (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>());
    let mtime = prop::option::of((any::<i64>(), 0..1_000_000_000_u32));
    (kind, bytes, sizes, numbers, any::<Option<u32>>(), mtime).prop_map(
        |(kind, data, blocksizes, (filesize, hash_type, fanout), mode, mtime)| Data {
            kind,
            data: data.map(Bytes::from),
            filesize,
            blocksizes,
            hash_type,
            fanout,
            mode,
            mtime: mtime.map(|(secs, nanos)| Mtime { secs, nanos }),
        },
    )
}

proptest! {
    #[test]
    fn round_trips(message in messages()) {
        assert_eq!(Data::decode(&message.encode().into()), Ok(message));
    }

    #[test]
    fn never_panics(bytes: Vec<u8>) {
        drop(Data::decode(&bytes.into()));
    }
}
