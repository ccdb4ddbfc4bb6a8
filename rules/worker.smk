"""In a job of AWS Batch that runs several rules: what each has made is stored as soon as it is done.

Snakemake stores everything when the last rule is done, and runs everything again in the next try. So a machine that
is taken away would take along what was finished.
"""

# Set by the executor plugin, which removes what an earlier run left before it submits such a job.
if os.environ.get("SNAKEMAKE_GROUP_RESUMES") and workflow.remote_exec:
    from snakemake.dag import DAG

    handle_storage, update_needrun = DAG.handle_storage, DAG.update_needrun

    async def store_at_once(dag, job, store_in_storage=True, store_only_log=False):
        """For `DAG.handle_storage`, which workers ask to store nothing."""
        await handle_storage(dag, job, True, store_only_log)

    async def store_logs(dag):
        """For `DAG.store_storage_outputs`: only logs of what was not finished are left to store."""
        for job in dag.needrun_jobs():
            for log in job.log:
                if log.is_storage and await log.exists_local():
                    await log.store_in_storage()

    async def leave_out_what_is_there(dag, create_inventory=False):
        """For `DAG.update_needrun`, which runs all that a worker is given, also what is in the bucket."""
        dag.forcefiles.clear()
        await update_needrun(dag, create_inventory)

    DAG.handle_storage = store_at_once
    DAG.store_storage_outputs = store_logs
    DAG.update_needrun = leave_out_what_is_there
