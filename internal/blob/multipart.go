package blob

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// begin opens a multipart upload. One that is never finished is deleted by the
// bucket's lifecycle rule, or by Forget.
//
// It declares the checksum that its pieces carry: the SDK adds one to each, and
// S3 does not find the pieces again of an upload that has declared none.
func begin(ctx context.Context, client *s3.Client, bucket, key, mediaType string) (string, error) {
	out, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, ContentType: &mediaType, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return "", cloud.Fault("s3 CreateMultipartUpload", err)
	}
	return aws.ToString(out.UploadId), nil
}

// uploadPiece stores piece n, from 1, in place of an earlier one. Its tag is the
// ETag and the checksum, because finish must name both.
func uploadPiece(ctx context.Context, client *s3.Client, bucket, key, upload string, n int, body []byte) (tag string, err error) {
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	out, err := client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &bucket, Key: &key, UploadId: &upload, PartNumber: aws.Int32(int32(n)), Body: bytes.NewReader(body),
		ChecksumCRC32: &sum,
	})
	if code(err) == "NoSuchUpload" {
		return "", errs.Wrap(errs.Conflict, err, "the upload does not exist any more")
	}
	if err != nil {
		return "", cloud.Fault("s3 UploadPart", err)
	}
	return aws.ToString(out.ETag) + " " + sum, nil
}

// finish makes the object. An upload that does not exist may be one whose first
// finish got through although its answer was lost: then the object is there.
// Keys are written by one upload only, so its size is proof enough.
func finish(ctx context.Context, client *s3.Client, bucket, key, upload string, tags []string, size int64) error {
	pieces := make([]types.CompletedPart, len(tags))
	for i, tag := range tags {
		etag, sum, ok := strings.Cut(tag, " ")
		if !ok { // of an upload that has declared no checksum, which S3 would not finish
			return errs.New(errs.Conflict, "a piece of the upload has no checksum")
		}
		pieces[i] = types.CompletedPart{ETag: &etag, ChecksumCRC32: &sum, PartNumber: aws.Int32(int32(i + 1))}
	}
	_, err := client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &key, UploadId: &upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: pieces},
	})
	switch code(err) {
	case "NoSuchUpload":
		head, headErr := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
		if headErr == nil && aws.ToInt64(head.ContentLength) == size {
			return nil
		}
		if headErr != nil && code(headErr) != "NotFound" {
			return cloud.Fault("s3 HeadObject", headErr)
		}
		return errs.Wrap(errs.Conflict, err, "the upload does not exist any more")
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall":
		return errs.Wrap(errs.Conflict, err, "the pieces of the upload are not those that were stored")
	}
	return cloud.Fault("s3 CompleteMultipartUpload", err)
}
