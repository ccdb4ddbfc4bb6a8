"""What a run in a bucket need not ask S3 again and again.

Snakemake's plugin asks whether the bucket is there, and whether a file is a folder, before each transfer and before it
believes that a file is missing. Its scheduler asks for the sizes of what a job will read, every second that the job waits.
"""

if RUN_PREFIX:
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake_storage_plugin_s3 import StorageObject

    bucket_exists, is_dir = StorageObject.bucket_exists, StorageObject.is_dir

    def is_there(place):
        """For `StorageObject.bucket_exists`: the records or the sources of this run came from there."""
        return place.query.startswith(f"{RUN_PREFIX.rstrip('/')}/") or bucket_exists(place)

    def may_be_folder(place):
        """For `StorageObject.is_dir`: a source may be a folder, but no rule makes any."""
        made = place.query.startswith(f"{RUN_PREFIX.rstrip('/')}/{RESULTS}/")
        return not made and is_dir(place)

    StorageObject.bucket_exists, StorageObject.is_dir = is_there, may_be_folder

    async def no_sizes(scheduler, jobs):
        """For `JobScheduler.update_input_sizes`: which of two jobs comes first need not depend on them."""
        scheduler._input_sizes.update((path, 0) for job in jobs for path in job.input)

    JobScheduler.update_input_sizes = no_sizes
